"""Sleep cycle: curate good sessions, train an adapter on them, test again under control."""
