"""SecondHalf: the rest of a variant's training, if the variant was not stopped at half time."""
