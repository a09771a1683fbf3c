"""The command line: composes ``pipeline`` and ``infra`` into what a person types."""
