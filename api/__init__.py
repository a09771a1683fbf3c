"""The HTTP edge and the dashboard. Starts without torch, cv2 or librosa."""
