"""GANs for everybody: train, watch, measure, keep."""
