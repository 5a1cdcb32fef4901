// `# syntax=`: BuildKit fetches the program that it names and lets that read the file. kauri reads the file itself and
// runs nobody's frontend; where another language is named, the reader is told.

import { readSyntaxDirective } from '../dockerfile/directives.ts'

/** Docker's own frontends and mirrors of them speak the language that kauri reads. */
const dockerfileFrontend = /(?:^|\/)dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@sha256:[0-9a-f]+)?$/

/** The frontend that the file or the build argument names, where it is not one of Dockerfiles. */
export function foreignFrontend(
  text: string,
  buildArgs: ReadonlyMap<string, string>,
): string | undefined {
  const named = buildArgs.get('BUILDKIT_SYNTAX') ?? readSyntaxDirective(text)?.reference
  return named === undefined || named === '' || dockerfileFrontend.test(named) ? undefined : named
}
