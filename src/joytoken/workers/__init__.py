"""Worker processes: who starts, watches, replaces and ends them. What they do is none of its business."""
