/** Offers without a widget. */

import type { IContent } from '../offer';

export class FakeOffer {
  static shown: FakeOffer[] = [];

  constructor(
    readonly panel: unknown,
    readonly cell: { model: unknown }
  ) {
    FakeOffer.shown.push(this);
  }

  label = '';
  primary: (() => void) | null = null;
  all: (() => void) | null = null;
  content: IContent | null = null;
  listeners: (() => void)[] = [];
  readonly changed = { connect: () => undefined };
  readonly disposed = { connect: (listener: () => void) => void this.listeners.push(listener) };
  isDisposed = false;
  dismiss = (): void => undefined;
  toggleClass = (): void => undefined;

  display(content: IContent): void {
    this.content = content;
    this.label = content.question;
    [this.primary, this.all] = [0, 1].map(index =>
      index < content.shortcuts.length ? (content.actions[index] ?? content.actions[0]).run : null
    );
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.isDisposed = true;
      FakeOffer.shown.splice(FakeOffer.shown.indexOf(this), 1);
      this.listeners.forEach(listener => listener());
    }
  }

  disposeLater = (): void => undefined;
  revealed = 0;
  revealBelow = (): void => {
    this.revealed++;
  };
  failure = '';
  showFailure = (reason: string): void => void (this.failure = reason);
}
