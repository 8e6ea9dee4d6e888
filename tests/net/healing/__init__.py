"""Tests of healing, which `test_healing` runs beside each other."""
