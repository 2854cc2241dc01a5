"""The selective forwarding unit: peers, tracks, layers and routes. It knows nothing of Matrix."""
