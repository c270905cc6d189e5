/** Width and height of an image, read from its header; undefined when it is no image known here. */
export function readImage(
  bytes: Uint8Array,
): { readonly mediaType: string; readonly width?: number; readonly height?: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const starts = (offset: number, text: string): boolean =>
    bytes.length >= offset + text.length &&
    Array.from({ length: text.length }, (_, index) => text.charCodeAt(index)).every(
      (octet, index) => bytes[offset + index] === octet,
    );
  if (starts(0, "\x89PNG\r\n\x1a\n")) {
    return bytes.length < 24
      ? { mediaType: "image/png" }
      : { mediaType: "image/png", width: view.getUint32(16), height: view.getUint32(20) };
  }
  if (starts(0, "GIF87a") || starts(0, "GIF89a")) {
    return bytes.length < 10
      ? { mediaType: "image/gif" }
      : { mediaType: "image/gif", width: view.getUint16(6, true), height: view.getUint16(8, true) };
  }
  if (starts(0, "BM") && bytes.length >= 26 && view.getUint32(14, true) >= 40) {
    return { mediaType: "image/bmp", width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
  }
  if (starts(0, "RIFF") && starts(8, "WEBP")) return webp(bytes, view, starts);
  if (starts(0, "\xff\xd8\xff")) return jpeg(bytes, view);
  return undefined;
}

function webp(
  bytes: Uint8Array,
  view: DataView,
  starts: (offset: number, text: string) => boolean,
): { mediaType: string; width?: number; height?: number } {
  const mediaType = "image/webp";
  if (bytes.length < 30) return { mediaType };
  if (starts(12, "VP8X")) {
    return {
      mediaType,
      width: (view.getUint32(24, true) & 0xffffff) + 1,
      height: (view.getUint32(26, true) >>> 8) + 1,
    };
  }
  if (starts(12, "VP8L")) {
    const bits = view.getUint32(21, true);
    return { mediaType, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  return { mediaType, width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
}

/** Walks the segments to the frame header (SOF0 to SOF15, without DHT, JPG and DAC). */
function jpeg(bytes: Uint8Array, view: DataView): { mediaType: string; width?: number; height?: number } {
  for (let offset = 2; offset + 9 < bytes.length;) {
    const marker = bytes[offset + 1] ?? 0;
    if (bytes[offset] !== 0xff) break;
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { mediaType: "image/jpeg", width: view.getUint16(offset + 7), height: view.getUint16(offset + 5) };
    }
    offset += 2 + view.getUint16(offset + 2);
  }
  return { mediaType: "image/jpeg" };
}
