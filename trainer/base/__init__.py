"""Code that everything else uses: errors, files, memory."""
