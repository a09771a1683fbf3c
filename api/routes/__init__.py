"""The addresses, by what they are about."""
