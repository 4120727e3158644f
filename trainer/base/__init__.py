"""What everything else stands on: errors, files, memory."""
