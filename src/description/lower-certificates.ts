// Certificate authorities: the files go where the distribution looks for them, and its own program takes them in.

import path from 'node:path'
import { defaultPath } from '../oci/image-config.ts'
import { type CopyStep, guestPath, type RunStep } from '../plan/plan.ts'
import type { CertificateSection, Located } from './description.ts'
import { inDescription } from './lower-files.ts'
import { certificateDistributions } from './schema/image.ts'
import type { SelectedDescription } from './select-description.ts'

type Distribution = (typeof certificateDistributions)[number]

/** Where a distribution wants further certificates, and what it calls then. */
const trustStores: Readonly<Record<Distribution, { directory: string; update: string }>> = {
  suse: { directory: '/etc/pki/trust/anchors', update: 'update-ca-certificates' },
  redhat: { directory: '/etc/pki/ca-trust/source/anchors', update: 'update-ca-trust' },
  debian: { directory: '/usr/local/share/ca-certificates', update: 'update-ca-certificates' },
  archlinux: { directory: '/etc/ca-certificates/trust-source/anchors', update: 'update-ca-trust' },
}

/** One copy step for each certificate, and one that takes them in; nothing without certificates. */
export function certificateSteps({ certificates }: SelectedDescription): (CopyStep | RunStep)[] {
  return certificates.flatMap(section => {
    const distribution = certificateDistributions.find(name => name === section.distribution)
    return distribution === undefined ? [] : sectionSteps(section, distribution)
  })
}

function sectionSteps(
  { files }: CertificateSection,
  distribution: Distribution,
): (CopyStep | RunStep)[] {
  const { directory, update } = trustStores[distribution]
  const [first] = files
  if (first === undefined) return []
  return [
    ...files.map(file =>
      copyStep(file, `${directory}/${certificateName(file.value, distribution)}`),
    ),
    {
      kind: 'run',
      showsEpoch: true,
      title: update,
      where: first.where,
      phase: 'bootstrap',
      command: [update],
      environment: [`PATH=${defaultPath}`, 'HOME=/root', 'LANG=C.UTF-8'],
      directory: guestPath('/'),
      user: 'root',
      network: 'none',
      mounts: [],
    },
  ]
}

function copyStep(file: Located<string>, target: string): CopyStep {
  const { value, where } = file
  return {
    kind: 'copy',
    title: `certificate ${value}`,
    where,
    phase: 'bootstrap',
    source: inDescription(file),
    target: guestPath(target),
    as: 'file',
    mode: 0o644,
  }
}

/** Debian's program takes only names that end in .crt. */
function certificateName(file: string, distribution: Distribution): string {
  const name = path.posix.basename(file)
  return distribution === 'debian' && !name.endsWith('.crt')
    ? `${name.replace(/\.(?:pem|cer)$/, '')}.crt`
    : name
}
