"""Registries: signed records over HTTP, served to others and asked where the DHT knows nothing."""
