"""The gRPC port and its services."""
