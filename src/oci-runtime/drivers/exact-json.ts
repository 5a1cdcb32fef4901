// JSON with numbers beyond 2^53 as they are: seccomp compares 64 bits.

/** Text of a value that may hold bigints. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'bigint' ? rawNumber(member) : member,
  )
}

function rawNumber(value: bigint): unknown {
  // JSON.rawJSON is in every Node since 22; the library's types do not name it yet.
  const raw = Reflect.get(JSON, 'rawJSON') as (text: string) => unknown
  return raw(String(value))
}
