// JSON with sorted keys and no white space: equal values give equal bytes, so a digest of it is a name.

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined }

/**
 * Serialises with keys sorted by code unit; undefined members are left out. Objects are taken for the plain data they are
 * (an interface such as Manifest is no `Json` for the type checker).
 */
export function canonicalJson(value: Json | object): string {
  if (Array.isArray(value)) return `[${value.map(item => canonicalJson(item)).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.entries(value)
    .filter((entry): entry is [string, Json] => entry[1] !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`)
  return `{${members.join(',')}}`
}
