// The build checks by BuildKit's names (linter/ruleset.go, frontend 1.26), their texts, and what each is about.

import { quoteGo } from './go-values.ts'

export interface CheckRule {
  /** What the rule asks for, in one sentence. */
  readonly description: string
  /** Address of the rule's page; empty: it has none. */
  readonly url: string
  /** Only reported where it is asked for. */
  readonly isExperimental: boolean
}

const page = 'https://docs.docker.com/go/dockerfile/rule/'

function rule(description: string, slug: string): CheckRule {
  return { description, url: slug === '' ? '' : `${page}${slug}/`, isExperimental: false }
}

export type CheckName =
  | 'StageNameCasing'
  | 'FromAsCasing'
  | 'NoEmptyContinuation'
  | 'ConsistentInstructionCasing'
  | 'DuplicateStageName'
  | 'ReservedStageName'
  | 'JSONArgsRecommended'
  | 'MaintainerDeprecated'
  | 'UndefinedArgInFrom'
  | 'WorkdirRelativePath'
  | 'UndefinedVar'
  | 'MultipleInstructionsDisallowed'
  | 'LegacyKeyValueFormat'
  | 'InvalidBaseImagePlatform'
  | 'RedundantTargetPlatform'
  | 'SecretsUsedInArgOrEnv'
  | 'InvalidDefaultArgInFrom'
  | 'FromPlatformFlagConstDisallowed'
  | 'CopyIgnoredFile'
  | 'InvalidDefinitionDescription'
  | 'ExposeProtoCasing'
  | 'ExposeInvalidFormat'

/** Every rule by its name. */
export const checkRules: Readonly<Record<CheckName, CheckRule>> = {
  StageNameCasing: rule('Stage names should be lowercase', 'stage-name-casing'),
  FromAsCasing: rule(
    "The 'as' keyword should match the case of the 'from' keyword",
    'from-as-casing',
  ),
  NoEmptyContinuation: rule(
    'Empty continuation lines will become errors in a future release',
    'no-empty-continuation',
  ),
  ConsistentInstructionCasing: rule(
    'All commands within the Dockerfile should use the same casing (either upper or lower)',
    'consistent-instruction-casing',
  ),
  DuplicateStageName: rule('Stage names should be unique', 'duplicate-stage-name'),
  ReservedStageName: rule(
    'Reserved words should not be used as stage names',
    'reserved-stage-name',
  ),
  JSONArgsRecommended: rule(
    'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
    'json-args-recommended',
  ),
  MaintainerDeprecated: rule(
    'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
    'maintainer-deprecated',
  ),
  UndefinedArgInFrom: rule('FROM command must use declared ARGs', 'undefined-arg-in-from'),
  WorkdirRelativePath: rule(
    'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
    'workdir-relative-path',
  ),
  UndefinedVar: rule('Variables should be defined before their use', 'undefined-var'),
  MultipleInstructionsDisallowed: rule(
    'Multiple instructions of the same type should not be used in the same stage',
    'multiple-instructions-disallowed',
  ),
  LegacyKeyValueFormat: rule(
    'Legacy key/value format with whitespace separator should not be used',
    'legacy-key-value-format',
  ),
  InvalidBaseImagePlatform: rule('Base image platform does not match expected target platform', ''),
  RedundantTargetPlatform: rule(
    'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
    'redundant-target-platform',
  ),
  SecretsUsedInArgOrEnv: rule(
    'Sensitive data should not be used in the ARG or ENV commands',
    'secrets-used-in-arg-or-env',
  ),
  InvalidDefaultArgInFrom: rule(
    'Default value for global ARG results in an empty or invalid base image name',
    'invalid-default-arg-in-from',
  ),
  FromPlatformFlagConstDisallowed: rule(
    'FROM --platform flag should not use a constant value',
    'from-platform-flag-const-disallowed',
  ),
  CopyIgnoredFile: rule(
    'Attempting to Copy file that is excluded by .dockerignore',
    'copy-ignored-file',
  ),
  InvalidDefinitionDescription: {
    ...rule(
      'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.',
      'invalid-definition-description',
    ),
    isExperimental: true,
  },
  ExposeProtoCasing: rule(
    'Protocol in EXPOSE instruction should be lowercase',
    'expose-proto-casing',
  ),
  ExposeInvalidFormat: rule(
    'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
    'expose-invalid-format',
  ),
}

/** The rule of what is no build check: the file cannot be understood. */
export const brokenDockerfile = 'dockerfile-invalid'

/** What a finding of each rule says; suggestions are undefined where no name is near. */
export const checkDetails = {
  stageNameCasing: (stage: string): string => `Stage name '${stage}' should be lowercase`,
  fromAsCasing: (from: string, as: string): string =>
    `'${as}' and '${from}' keywords' casing do not match`,
  noEmptyContinuation: (): string => 'Empty continuation line',
  consistentInstructionCasing: (keyword: string, casing: 'lowercase' | 'uppercase'): string =>
    `Command '${keyword}' should match the case of the command majority (${casing})`,
  duplicateStageName: (stage: string): string =>
    `Duplicate stage name ${quoteGo(stage)}, stage names should be unique`,
  reservedStageName: (stage: string): string =>
    `Stage name should not use the same name as reserved stage ${quoteGo(stage)}`,
  jsonArgsRecommended: (keyword: string): string =>
    `JSON arguments recommended for ${keyword} to prevent unintended behavior related to OS signals`,
  maintainerDeprecated: (): string =>
    'Maintainer instruction is deprecated in favor of using label',
  undefinedArgInFrom: (name: string, suggestion: string | undefined): string =>
    `FROM argument '${name}' is not declared${didYouMean(suggestion)}`,
  workdirRelativePath: (path: string): string =>
    `Relative workdir ${quoteGo(path)} can have unexpected results if the base image changes`,
  undefinedVar: (name: string, suggestion: string | undefined): string =>
    `Usage of undefined variable '$${name}'${didYouMean(suggestion && `$${suggestion}`)}`,
  multipleInstructionsDisallowed: (keyword: string): string =>
    `Multiple ${keyword} instructions should not be used in the same stage because only the last one will be used`,
  legacyKeyValueFormat: (keyword: string): string =>
    `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`,
  invalidBaseImagePlatform: (image: string, expected: string, actual: string): string =>
    `Base image ${image} was pulled with platform ${quoteGo(actual)}, expected ${quoteGo(expected)} for current build`,
  redundantTargetPlatform: (platform: string): string =>
    `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`,
  secretsUsedInArgOrEnv: (instruction: 'ARG' | 'ENV', name: string): string =>
    `Do not use ARG or ENV instructions for sensitive data (${instruction} ${quoteGo(name)})`,
  invalidDefaultArgInFrom: (baseName: string): string =>
    `Default value for ARG ${baseName} results in empty or invalid base image name`,
  fromPlatformFlagConstDisallowed: (platform: string): string =>
    `FROM --platform flag should not use constant value ${quoteGo(platform)}`,
  copyIgnoredFile: (instruction: 'Copy' | 'Add', source: string): string =>
    `Attempting to ${instruction} file ${quoteGo(source)} that is excluded by .dockerignore`,
  invalidDefinitionDescription: (instruction: 'FROM' | 'ARG', name: string): string =>
    `Comment for ${instruction} should follow the format: \`# ${name} <description>\``,
  exposeProtoCasing: (port: string): string =>
    `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
  exposeInvalidFormat: (port: string): string =>
    `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
}

function didYouMean(suggestion: string | undefined): string {
  return suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`
}
