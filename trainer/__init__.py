"""What a model is: variants, data, network, loss, metrics, training, snapshots. Imports no TFX and no Beam."""
