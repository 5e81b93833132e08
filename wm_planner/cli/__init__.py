"""The wm_planner command line."""
