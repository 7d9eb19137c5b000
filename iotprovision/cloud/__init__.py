"""Accounts at cloud providers."""
