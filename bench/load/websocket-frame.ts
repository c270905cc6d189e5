/** The message that load and service exchange: 1 KB, binary, the visitor's with a mask of zero (RFC 6455 section 5.2). */
const PAYLOAD_BYTES = 1024;

const length = [126, PAYLOAD_BYTES >> 8, PAYLOAD_BYTES & 0xff] as const;
const payload = Buffer.alloc(PAYLOAD_BYTES, "portlight ");

export const visitorFrame = Buffer.concat([
  Buffer.from([0x82, 0x80 | length[0], length[1], length[2], 0, 0, 0, 0]),
  payload,
]);
export const answerFrame = Buffer.concat([Buffer.from([0x82, ...length]), payload]);

/** Of the visitor's frame. */
export const FRAME_BYTES = visitorFrame.length;
/** Of the service's. */
export const ANSWER_BYTES = answerFrame.length;
