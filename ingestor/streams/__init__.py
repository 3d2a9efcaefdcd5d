"""Live markets: exchange streams as ticks and gaps, conflation, and the consensus price."""
