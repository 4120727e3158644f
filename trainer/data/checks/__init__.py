"""What is wrong with files of videos, before anything reads them for good."""
