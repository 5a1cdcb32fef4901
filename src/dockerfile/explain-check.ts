// What each rule about Dockerfiles is about, and what to write instead, for people who ask.

import { brokenDockerfile, type CheckName, checkRules } from './check-rules.ts'

export interface ExplainedCheck {
  readonly name: string
  readonly severity: 'error' | 'warning'
  readonly explanation: string
  /** The rule's page in docker's own documentation. */
  readonly url?: string
}

/** What a rule is about, or undefined where there is none of that name. */
export function explainCheck(name: string): ExplainedCheck | undefined {
  if (name === brokenDockerfile) return { name, severity: 'error', explanation: brokenExplanation }
  if (!isCheckName(name)) return undefined
  const { url, isExperimental } = checkRules[name]
  const explanation = isExperimental
    ? `${explanations[name]} Checked only with \`# check=experimental=${name}\` or \`experimental=all\`.`
    : explanations[name]
  return { name, severity: 'warning', explanation, ...(url === '' ? {} : { url }) }
}

/** Names of all rules about Dockerfiles. */
export function checkNames(): readonly string[] {
  return [brokenDockerfile, ...Object.keys(checkRules)]
}

function isCheckName(name: string): name is CheckName {
  return Object.hasOwn(checkRules, name)
}

const brokenExplanation =
  'The Dockerfile is not written as the language wants it: an unknown instruction, flag or option, a missing argument, a stage that is not there. A build stops with this message. Nothing after this place was checked.'

const explanations: Readonly<Record<CheckName, string>> = {
  StageNameCasing:
    'Names of stages are turned into lower case, so `FROM x AS Build` makes a stage `build`. Write it as it will be called.',
  FromAsCasing: 'FROM and AS belong together: write `FROM x AS y` or `from x as y`, not a mixture.',
  NoEmptyContinuation:
    'An empty line stands between the lines of one instruction. It is skipped today and is to become an error; remove it, or put a comment in its place.',
  ConsistentInstructionCasing:
    'Most instructions of the file are written in the other case. One case throughout makes instructions easy to tell from arguments; upper case is usual.',
  DuplicateStageName:
    'Two stages have the same name, and only the last of them can be reached by it. Give each a name of its own.',
  ReservedStageName:
    'The names `scratch` and `context` have a meaning already: nothing at all, and the build context. A stage of that name cannot be reached.',
  JSONArgsRecommended:
    'In shell form a shell is process 1 of the container and gets the signals, so `stop` waits for its time limit and kills. Write `CMD ["program", "argument"]`; where a shell is wanted, choose it with SHELL.',
  MaintainerDeprecated:
    'MAINTAINER is obsolete. Write `LABEL org.opencontainers.image.authors="name"` instead, which tools show.',
  UndefinedArgInFrom:
    'FROM sees only the arguments that ARG declares before the first FROM, and those set automatically such as TARGETPLATFORM. This name is none of them and stands for nothing.',
  WorkdirRelativePath:
    'Where a relative WORKDIR leads depends on the base image, which may change. Begin with an absolute path.',
  UndefinedVar:
    'Nothing has set this variable before its use, so that it stands for nothing. Declare it with ARG or set it with ENV; ARG before the first FROM counts in a stage only where the stage repeats it.',
  MultipleInstructionsDisallowed:
    'Of several CMD, ENTRYPOINT or HEALTHCHECK instructions in one stage only the last one counts. Remove the others.',
  LegacyKeyValueFormat:
    '`ENV name value` takes the whole rest of the line, quotes and blanks included, which surprises. Write `ENV name=value`.',
  InvalidBaseImagePlatform:
    'The base image is for another operating system or processor than the build. Programs in it will not run, or only emulated.',
  RedundantTargetPlatform:
    '`FROM --platform=$TARGETPLATFORM` is what FROM does anyway. Leave the flag out.',
  SecretsUsedInArgOrEnv:
    'Values of ARG and ENV stay in the history and configuration of the image, for everybody who has it. Use `RUN --mount=type=secret`, and at run time a secret of the container.',
  InvalidDefaultArgInFrom:
    'Without `--build-arg` the name of the base image is empty or wrong. Give the argument a default: `ARG TAG=latest`.',
  FromPlatformFlagConstDisallowed:
    'A constant platform makes every build start from an image for that platform, whichever one is asked for. Use $BUILDPLATFORM or $TARGETPLATFORM, or name the stage after the platform where that is meant.',
  CopyIgnoredFile:
    'The ignore file leaves this path out of the build context, so that copying it fails or copies nothing. Change one of the two.',
  InvalidDefinitionDescription:
    'A comment directly above ARG or a named FROM is its description and begins with the name: `# name what it is for`. Separate other comments by an empty line.',
  ExposeProtoCasing: 'Protocols of EXPOSE are written in lower case: `80/tcp`.',
  ExposeInvalidFormat:
    'EXPOSE names ports of the container alone. Which address and port of the host lead there is said when a container starts, with `--publish`.',
}
