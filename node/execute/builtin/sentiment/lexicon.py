"""The words that carry feeling, and those that change it. Our own list; weights from 1 (mild) to 4 (strong)."""

from typing import Final

_POSITIVE: Final = {
    4: """outstanding superb excellent magnificent spectacular phenomenal exceptional masterpiece flawless
        breathtaking extraordinary perfect sublime stellar unbeatable triumphant triumph adore adored adores
        ecstatic euphoric thrilled marvelous marvellous wondrous exquisite""",
    3: """amazing awesome fantastic wonderful brilliant terrific fabulous love loved loves loving lovely delighted
        delight delights delightful joy joyful joyous beautiful gorgeous stunning incredible impressive impressed
        splendid remarkable superior best great greatest happy happiest happiness inspiring inspired inspires
        exciting excited thrilling win wins winner winning won victory success successful successfully succeed
        succeeded prosper prosperous prosperity flourish flourishing record-breaking breakthrough soar soared
        soaring surge surged surging boom booming hilarious heartwarming captivating enchanting masterful
        treasure cherish cherished grateful gratitude thankful blessing blessed genius elegant magical
        unforgettable riveting admirable admire admired admires""",
    2: """good better nice enjoy enjoyed enjoys enjoyable enjoying fun funny pleasant pleased pleasing pleasure
        like liked likes likable charming charm cute sweet friendly kind kindness generous generosity gentle warm
        warmth smart clever talented talent skilled creative fresh vivid crisp smooth comfortable comfort cozy
        cosy convenient useful helpful help helped helps valuable value worthwhile worthy reliable dependable
        trustworthy trust trusted honest honesty loyal faithful safe secure strong stronger strongest strength
        robust solid sturdy healthy gain gains gained gaining profit profits profitable profitability growth
        grow grew growing grown improve improved improves improving improvement improvements exceed exceeded
        exceeds exceeding outperform outperformed outperforms beat beats upgrade upgraded upgrades rise rises
        rose rising rally rallied rallies rebound rebounded recover recovered recovery recovers optimistic
        optimism confident confidence favorable favourable favorably favourably positive positively progress
        advance advanced advances opportunity opportunities advantage advantages benefit benefits beneficial
        benefited efficient efficiency effective productive innovative innovation innovate attractive appealing
        recommend recommended recommends recommendation praise praised praises applaud applauded celebrate
        celebrated celebrates congratulate congratulations award awarded awards honor honored honour honoured
        respect respected popular famous favorite favourite gem treat satisfying satisfied satisfies satisfy
        satisfaction rewarding reward rewards rich bright brighter cheerful cheer cheered smile smiles smiled
        laugh laughed laughs entertaining entertained engaging engaged interesting intriguing fascinating
        powerful compelling touching memorable authentic genuine polished refined refreshing relaxing calm
        peaceful clean quick fast responsive accurate precise affordable bargain free gift gifted hope hopeful
        lucky luck proud pride eager eagerly welcome welcomed welcoming thanks thank appreciate appreciated
        appreciates superbly beautifully nicely wonderfully perfectly brilliantly impressively""",
    1: """fine okay ok decent adequate acceptable fair reasonable reasonably stable stability steady steadily
        intact sufficient capable able easy easily simple simply clear clearly ready agree agreed agrees
        agreement support supported supports supportive increase increased increases increasing expand expanded
        expanding expansion higher high up upside launch launched extend extended complete completed achieve
        achieved achieves achievement accomplish accomplished attain attained enhance enhanced enhances enhancing
        raise raised boost boosted boosts resolve resolved resolves solve solved solves solution promising
        promise worth tasty yummy neat tidy spacious quiet modern lively active energetic curious patient
        sincere modest relevant timely consistent consistently properly well correct right new original""",
}
_NEGATIVE: Final = {
    4: """horrible horrendous horrific atrocious abysmal appalling disastrous disaster catastrophic catastrophe
        dreadful disgusting disgust disgusted revolting vile despicable abhorrent nightmare nightmarish
        devastating devastated ruined ruin ruins worst hate hated hates loathe loathed unbearable excruciating
        fraud fraudulent bankrupt bankruptcy collapse collapsed collapses atrocity tragic tragedy""",
    3: """terrible awful pathetic miserable misery horrid garbage trash rubbish useless worthless hopeless
        helpless furious outraged outrage outrageous angry anger hostile cruel cruelty evil toxic poison
        poisonous dangerous danger scam scams cheat cheated cheats lie lied lies liar deceive deceived deceptive
        deception betray betrayed betrayal failure failures fail failed fails failing crash crashed crashes
        plunge plunged plunges plummet plummeted plummets slump slumped crisis default defaulted defaults
        insolvent insolvency scandal lawsuit lawsuits corrupt corruption illegal crime criminal violate violated
        violation violations breach breached breaches penalty penalties damage damaged damages damaging destroy
        destroyed destroys destruction disgrace disgraceful shameful shame humiliating humiliated hurt hurts
        suffering suffer suffered suffers pain painful agony grief grim dire severe severely alarming panic
        terrified terrifying fear fearful depressing depressed depression dismal unacceptable insulting
        insult insulted offensive ridiculous absurd stupid idiotic idiot nasty filthy rotten broken""",
    2: """bad worse poor poorly weak weaker weakest weakness weaknesses lose loses losing lost loss losses
        decline declined declines declining decrease decreased decreases drop dropped drops fall falls fell
        falling fallen shrink shrank shrinking deficit deficits debt downgrade downgraded downgrades
        underperform underperformed underperforms miss missed misses shortfall shortage shortages impairment
        impaired impairments writedown writedowns recession downturn adverse adversely negative negatively
        unfavorable unfavourable pessimistic pessimism uncertain uncertainty uncertainties volatile volatility
        risk risks risky threat threats threaten threatened problem problems problematic trouble troubles
        troubled difficult difficulty difficulties challenge challenges challenging issue issues error errors
        mistake mistakes wrong flaw flaws flawed defect defects defective faulty fault faults bug bugs buggy
        glitch glitches slow slower sluggish delay delayed delays late cancel canceled cancelled refuse refused
        refuses reject rejected rejects rejection deny denied denies complain complained complains complaint
        complaints disappoint disappointed disappoints disappointing disappointment dissatisfied unsatisfied
        unsatisfying unhappy sad sadly sadness upset annoyed annoying annoy annoys frustrated frustrating
        frustration irritating irritated bored boring bore dull tedious tiresome bland lifeless shallow
        predictable forgettable mediocre inferior cheaply overpriced expensive waste wasted wastes wasteful
        dirty messy mess ugly noisy loud rude unfriendly unhelpful unprofessional arrogant selfish lazy careless
        sloppy clumsy awkward confusing confused confuse unclear inaccurate incorrect unreliable unstable unsafe
        insecure unfair unjust dishonest misleading mislead suspicious doubt doubts doubtful skeptical worried
        worry worries worrying concern concerned concerns concerning anxious anxiety nervous stress stressful
        stressed tired exhausted exhausting sick ill illness regret regrets regretted regrettable sorry unlucky
        unfortunate unfortunately lack lacks lacked lacking inadequate insufficient inefficient ineffective
        harm harmed harmful harsh hard-pressed litigation penalized fined dispute disputes disputed layoff
        layoffs closure closures strike strikes protest protests conflict conflicts disrupt disrupted
        disruption disruptions deteriorate deteriorated deteriorating deterioration stagnant stagnation clunky
        hollow cliched contrived cringe lame cold stale soggy greasy""",
    1: """lower low down downside limited limit limits decreasing reduce reduced reduces reduction cut cuts
        postpone postponed hesitant cautious caution complicated complex heavy crowded cramped small short thin
        tight average ordinary plain odd strange weird minor unusual unclear unknown missing incomplete
        outdated old dated worn rough stiff steep costly pricey pressure pressures offset weigh weighed
        burden burdens headwind headwinds slowdown soften softened softer moderate warn warned warning
        warnings unexpected unexpectedly questionable overly dim distant silly""",
}
_NEGATING = """
    not no never none nobody nothing neither nor nowhere cannot without hardly barely scarcely rarely seldom
    isn't wasn't aren't weren't don't doesn't didn't won't wouldn't can't couldn't shouldn't hasn't haven't
    hadn't ain't mustn't needn't lacks lacked
"""
NEGATIONS: Final = frozenset(_NEGATING.split())
_STRENGTHENING = """
    very really extremely incredibly absolutely totally completely utterly remarkably exceptionally
    particularly especially highly deeply truly so such entirely thoroughly tremendously enormously hugely
    intensely profoundly significantly substantially sharply strongly greatly immensely insanely
"""
_SOFTENING = """
    slightly somewhat fairly rather marginally partly partially mildly a-bit little moderately modestly kinda
    sorta relatively almost nearly occasionally sometimes
"""
INTENSIFIERS: Final = {
    **dict.fromkeys(
        _STRENGTHENING.split(),
        1.4,
    ),
    **dict.fromkeys(
        _SOFTENING.split(),
        0.6,
    ),
}
CONTRASTS: Final = frozenset({"but", "however", "yet", "although", "though", "nevertheless", "nonetheless"})


def _valences() -> dict[str, float]:
    words: dict[str, float] = {}
    for sign, groups in ((1.0, _POSITIVE), (-1.0, _NEGATIVE)):
        for weight, text in groups.items():
            words.update(dict.fromkeys(text.split(), sign * weight))
    return words


VALENCES: Final[dict[str, float]] = _valences()
"""Feeling of a lower-case word, -4 to 4."""
