"""Queue, tasks and clock. The row is the truth: a job carries an id and may be lost, repeated or late."""
