"""What every process shares and that is no database: settings, logs, texts, times, tokens."""
