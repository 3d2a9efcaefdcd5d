"""Code of every process that needs no database: settings, logs, texts, times, tokens, back-off."""
