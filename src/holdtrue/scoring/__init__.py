"""Findings and scores of stored transcripts. Nothing here generates a token but the judge."""
