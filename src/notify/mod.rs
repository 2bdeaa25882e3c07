//! Telling people: mail and web hooks with the picture, tried until they arrive or are given up.
