"""Sleep cycle: good sessions become a LoRA adapter, and the same test says whether that worked."""
