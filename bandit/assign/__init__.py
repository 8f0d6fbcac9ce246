"""Unit → bucket → variant; pure."""
