"""Loads what the drills need; everything else is in fixtures/."""

pytest_plugins = ["fixtures.allure_results", "fixtures.plugin"]
