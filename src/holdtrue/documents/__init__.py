"""What people read. Presentation only: everything shown was computed by an earlier stage."""
