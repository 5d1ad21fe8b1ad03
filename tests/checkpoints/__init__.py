"""Makes tiny random checkpoints of real classes. Random weights prove code, never quality."""
