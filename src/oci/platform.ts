// Platforms as image-spec v1.1.1 image-index.md names them (Go's GOOS and GOARCH), and what `uname -m` calls them.

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
  readonly 'os.version'?: string
  readonly 'os.features'?: readonly string[]
}

const architectureByMachine: Readonly<Record<string, { architecture: string; variant?: string }>> =
  {
    x86_64: { architecture: 'amd64' },
    i386: { architecture: '386' },
    i586: { architecture: '386' },
    i686: { architecture: '386' },
    aarch64: { architecture: 'arm64', variant: 'v8' },
    armv6l: { architecture: 'arm', variant: 'v6' },
    armv7l: { architecture: 'arm', variant: 'v7' },
    ppc64le: { architecture: 'ppc64le' },
    riscv64: { architecture: 'riscv64' },
    s390x: { architecture: 's390x' },
  }

/** The platform of a `uname -m` name; unknown names stand for themselves. */
export function platformOfMachine(machine: string): Platform {
  return { os: 'linux', ...(architectureByMachine[machine] ?? { architecture: machine }) }
}
