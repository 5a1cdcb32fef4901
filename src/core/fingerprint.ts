// A short mark of a text, to notice that it changed; nobody may gain by a collision, for one is easily made.

/** 64 bits of FNV-1a in two halves, as 16 hexadecimal digits: loading node:crypto would cost each start 5 ms. */
export function fingerprint(text: string): string {
  let low = 0x811c9dc5
  let high = 0x01000193
  for (let at = 0; at < text.length; at++) {
    low = Math.imul(low ^ text.charCodeAt(at), 0x01000193)
    high = Math.imul(high ^ text.charCodeAt(at), 0x85ebca6b)
  }
  return [low, high].map(half => (half >>> 0).toString(16).padStart(8, '0')).join('')
}
