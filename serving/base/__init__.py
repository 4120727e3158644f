"""What server and clients share: errors, TLS, the messages of Predict."""
