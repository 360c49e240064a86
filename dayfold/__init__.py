"""The command line and what drives a day: graph, launchers, run, status, report, demo."""
