"""HTTP as providers speak it: requests, retries, circuit breaker, and error bodies."""
