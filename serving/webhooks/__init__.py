"""Signed webhooks (Standard Webhooks 1.0): what is sent, to which addresses, and how often it is tried."""
