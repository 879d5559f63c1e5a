/** Reasons to show no suggestion, and the switches that are among them: in a notebook, and all at once. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookModel } from '@jupyterlab/notebook';
import type { IDocument } from './document';
import { isComposing, isInCommandMode } from './editor';
import { isPrivatePath } from './language';
import type { ISettings } from './settings';
import type { Trigger } from './suggestion';
import type { IFrame } from './wire';

/** Reasons without a message: the request is automatic, or another call shows the suggestion or reports its reason. */
const SILENT = ['foreign edit', 'on demand', 'command mode', 'composing', 'outdated', 'reported'] as const;

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
    ['composing', isComposing(editor)]
  ];
  return switchedOff(document, settings, switches) ?? first(reasons);
}

function first<T>(reasons: Reasons<T>): T | null {
  return reasons.find(([, applies]) => applies)?.[0] ?? null;
}

/** Turbopilot's section of a notebook's metadata. */
const SECTION = 'turbopilot';

/** What the metadata of a notebook determine; an invalid value disables suggestions, too. */
export type NotebookSwitch = 'enabled' | 'disabled' | 'invalid';

/** The part of a notebook's model that holds its metadata. */
export type IMetadataModel = Pick<
  INotebookModel,
  'getMetadata' | 'setMetadata' | 'deleteMetadata' | 'metadataChanged'
>;

/** A refusal by the administrator's configuration. */
export interface IDenial {
  /** The kernel of the refused request; without one, the path itself is denied. */
  readonly kernel: string | null;
  /** The server's message. */
  readonly message: string;
  /** When it was received, in milliseconds. */
  readonly at: number;
}

/** Off switches of this page, beside the settings: none survives a reload. */
export interface ISwitches {
  /** Whether the user has stopped all suggestions. */
  readonly stopped: boolean;
  /** Paths of documents in which the user has paused suggestions. */
  readonly paused: ReadonlySet<string>;
  /** Documents for which the administrator does not allow suggestions, by path. */
  readonly denied: ReadonlyMap<string, IDenial>;
}

/** Return the switch of a notebook; a document that is not a notebook has none. */
export function switchOf(model: Pick<IMetadataModel, 'getMetadata'> | null): NotebookSwitch {
  const section: unknown = model?.getMetadata(SECTION);
  if (section === undefined) {
    return 'enabled';
  }
  if (typeof section !== 'object' || section === null || Array.isArray(section)) {
    return 'invalid';
  }
  const { enabled = true } = section as { enabled?: unknown };
  return typeof enabled !== 'boolean' ? 'invalid' : enabled ? 'enabled' : 'disabled';
}

/** Disable suggestions in a notebook, or enable them again. The notebook has to be saved to keep it. */
export function toggleSwitch(model: IMetadataModel): void {
  const section: unknown = model.getMetadata(SECTION);
  const kept: Record<string, unknown> =
    typeof section === 'object' && section !== null && !Array.isArray(section) ? { ...section } : {};
  if (switchOf(model) === 'enabled') {
    kept.enabled = false;
  } else {
    delete kept.enabled;
  }
  if (Object.keys(kept).length > 0) {
    model.setMetadata(SECTION, kept);
  } else {
    model.deleteMetadata(SECTION);
  }
}

/** Follows the switches of all notebooks, which collaborators and the metadata editor can change, too. */
export class SwitchFollower {
  /** `changed` is called for each notebook when it has been opened, and whenever its switch changes. */
  constructor(
    registry: Pick<DocumentRegistry, 'addWidgetExtension'>,
    private readonly _changed: (model: IMetadataModel, state: NotebookSwitch) => void
  ) {
    registry.addWidgetExtension('Notebook', {
      createNew: (_, context) => void context.ready.then(() => this._follow(context.model as INotebookModel))
    });
  }

  /** Return whether the metadata of a notebook have become invalid since the last call for it. */
  becameInvalid(model: IMetadataModel | null): boolean {
    return model !== null && this._invalid.delete(model);
  }

  private _follow(model: IMetadataModel): void {
    const check = (): void => {
      const state = switchOf(model);
      if (state !== this._states.get(model)) {
        this._states.set(model, state);
        this._invalid[state === 'invalid' ? 'add' : 'delete'](model);
        this._changed(model, state);
      }
    };
    model.metadataChanged.connect(check);
    check();
  }

  private readonly _states = new WeakMap<IMetadataModel, NotebookSwitch>();
  /** notebooks with invalid metadata, until `becameInvalid` */
  private readonly _invalid = new WeakSet<IMetadataModel>();
}
