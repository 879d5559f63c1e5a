/** Reasons to show no suggestion. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { Trigger } from './suggestion';
import type { IDocument } from './document';
import { isComposing, isInCommandMode } from './editor';
import { isPrivatePath } from './language';
import type { ISwitches } from './offswitches';
import type { ISettings } from './settings';
import type { IFrame } from './wire';

/** Reasons without a message: the request is automatic, or another call shows the suggestion or reports its reason. */
const SILENT = [
  'foreign edit',
  'on demand',
  'command mode',
  'unfocused',
  'composing',
  'outdated',
  'reported'
] as const;

/** The switches that turn suggestions off in a document. */
export type OffSwitch = 'off' | 'stopped' | 'denied' | 'disabled in notebook' | 'invalid metadata' | 'paused';

/** Reasons with a message for a user who invoked the request. */
export type Explained =
  | OffSwitch
  | 'language'
  | 'private'
  | 'read-only'
  | 'cursors'
  | 'selection'
  | 'unavailable'
  | 'nowhere'
  | 'timeout'
  | 'nothing';

/** Reasons that the status item shows only in its tooltip: its label shows the other ones. */
const UNLABELLED = ['language', 'private', 'read-only', 'cursors'] as const;
/** The reason for which the last automatic request has no suggestion. */
export type HiddenReason = NonNullable<IFrame['hidden_reason']> | (typeof UNLABELLED)[number];

export type Decline = Explained | (typeof SILENT)[number];

export function isExplained(decline: Decline): decline is Explained {
  return !(SILENT as readonly string[]).includes(decline);
}

export function isUnlabelled(decline: Decline): decline is (typeof UNLABELLED)[number] {
  return (UNLABELLED as readonly string[]).includes(decline);
}

type Reasons<T = Decline> = [T, boolean][];

/** Return the switches that turn suggestions off in a document, the one to name first. */
export function offSwitches(
  { path, notebookSwitch }: Pick<IDocument, 'path' | 'notebookSwitch'>,
  settings: ISettings,
  { stopped, paused, denied }: ISwitches
): OffSwitch[] {
  const reasons: Reasons<OffSwitch> = [
    ['off', !settings.enabled],
    ['stopped', stopped],
    ['denied', denied.has(path)],
    ['disabled in notebook', notebookSwitch === 'disabled'],
    ['invalid metadata', notebookSwitch === 'invalid'],
    ['paused', paused.has(path)]
  ];
  return reasons.filter(([, applies]) => applies).map(([reason]) => reason);
}

/** Return the reason to request nothing for a document, or `null`. */
export function switchedOff(
  document: Pick<IDocument, 'path' | 'notebookSwitch' | 'here'>,
  settings: ISettings,
  switches: ISwitches
): Decline | null {
  const { path, here } = document;
  const languages = settings.disabledLanguages.map(language => language.toLowerCase());
  return (
    offSwitches(document, settings, switches).at(0) ??
    first<Decline>([
      ['language', languages.includes(here.toLowerCase())],
      ['private', isPrivatePath(path)]
    ])
  );
}

/** Return the reason to request no suggestion in an editor, or `null`. */
export function declineOf(
  editor: CodeEditor.IEditor,
  document: IDocument,
  settings: ISettings,
  switches: ISwitches,
  trigger: Trigger
): Decline | null {
  const isAutomatic = trigger === 'automatic';
  const reasons: Reasons = [
    ['read-only', editor.getOption('readOnly') === true],
    ['cursors', editor.getSelections().length > 1],
    ['on demand', isAutomatic && settings.mode === 'on demand'],
    ['command mode', isAutomatic && isInCommandMode(editor)],
    ['unfocused', isAutomatic && !editor.hasFocus()],
    ['composing', isComposing(editor)]
  ];
  return switchedOff(document, settings, switches) ?? first(reasons);
}

function first<T>(reasons: Reasons<T>): T | null {
  return reasons.find(([, applies]) => applies)?.[0] ?? null;
}
