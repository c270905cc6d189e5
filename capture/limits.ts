/**
 * Octets of one message that are captured: gRPC's own default limit is 4 MiB of message, and who sends one of those
 * wants to see it, with room for framing and for those who raised their limit to the usual next step.
 */
export const MESSAGE_CAP = 8 * 1024 * 1024;

/**
 * Octets of compressed messages after which a stream is inflated once in passing, on another thread: when its beginning
 * leaves the capture, what follows could not be inflated any more without the window in between.
 */
export const FOLLOW_BYTES = 2 * 1024 * 1024;
