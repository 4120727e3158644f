"""What a served model is: SavedModel, model directory, server, client. Imports no TFX and no Beam."""
