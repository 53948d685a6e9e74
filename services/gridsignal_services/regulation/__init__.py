"""Regulation: how well a resource followed its signal, and what that is paid. Pure functions of samples."""
