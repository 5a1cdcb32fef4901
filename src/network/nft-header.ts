// What every message to nf_tables begins with (linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h).

/** The subsystem of nfnetlink, in the upper byte of a message's type. */
export const nftSubsystem = 10

/** The subsystem with the number of the message. */
export const nftMessage = {
  newTable: 0xa00,
  getTable: 0xa01,
  deleteTable: 0xa02,
  newChain: 0xa03,
  getChain: 0xa04,
  newRule: 0xa06,
  getRule: 0xa07,
  deleteRule: 0xa08,
  newSet: 0xa09,
  newElement: 0xa0c,
  getElement: 0xa0d,
  deleteElement: 0xa0e,
} as const

/** NFPROTO_ numbers. */
export const nftFamily = { ip: 2, bridge: 7 } as const
export type NftFamily = (typeof nftFamily)[keyof typeof nftFamily]

export interface NftTable {
  readonly family: NftFamily
  readonly name: string
}

/** struct nfgenmsg */
export function familyHeader(family: number, resource = 0): Uint8Array {
  return Uint8Array.of(family, 0, resource >>> 8, resource)
}
