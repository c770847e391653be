"""The follower: a process that replays the journal and writes what happened into SQL tables."""
