//! Short films of events: the seconds before from memory, the seconds after, as one MP4 file.
