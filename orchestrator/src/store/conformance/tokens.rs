//! Tokens: how long each is good, and how agents come by their own.

use std::time::Duration;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::{AgentId, Incarnation, TokenId};
use haywain_shared::token::{Role, Token};

use super::bench::{Bench, facts};
use crate::store::{Admission, Enrolment, NewToken, Pass, Registration, StoreError, TokenStanding};

/// A token for `role`, as it is kept.
pub(super) fn new_token(role: Role) -> NewToken {
    let digest = Token::draw(role).unwrap().digest();
    let id = TokenId::generate();
    NewToken { id, name: format!("somebody ({id})"), role, digest, good_for: None, uses: None }
}

impl Bench {
    /// Keeps a token: its id and its digest.
    pub(super) async fn token(&self, role: Role) -> TokenId {
        let token = new_token(role);
        self.store.keep_token(token.clone()).await.unwrap();
        token.id
    }

    async fn enrol(&self, by: TokenId, agent: AgentId, own: Sha256Digest) -> Result<(), StoreError> {
        let (name, facts) = ("barn".to_owned(), facts(&["3.4.1"]));
        let registration = Registration { agent, incarnation: Incarnation(1), name, facts };
        self.store.enrol(Enrolment { by, own }, registration).await
    }

    async fn admitted(&self, digest: Sha256Digest) -> Option<Pass> {
        match self.store.admit(digest).await.unwrap() {
            Admission::Granted(pass) => Some(pass),
            Admission::Over(_) | Admission::Unknown => None,
        }
    }
}

fn own_digest() -> Sha256Digest {
    Token::draw(Role::Agent).unwrap().digest()
}

pub(in crate::store) async fn a_token_is_good_until_it_expires_or_is_revoked(mut bench: Bench) {
    let hour = Duration::from_hours(1);
    let token = NewToken { good_for: Some(hour), ..new_token(Role::Operate) };
    bench.store.keep_token(token.clone()).await.unwrap();
    let for_ever = new_token(Role::Submit);
    bench.store.keep_token(for_ever.clone()).await.unwrap();
    bench.restart().await;

    let pass = bench.admitted(token.digest).await.unwrap();
    let expected = Pass { token: token.id, name: token.name, role: Role::Operate, agent: None, good_for: Some(hour) };
    assert_eq!(pass, expected);
    // One that differs in its last bit only is another one's.
    let mut bytes = *token.digest.as_bytes();
    bytes[31] ^= 1;
    let stranger = bench.store.admit(Sha256Digest::from_bytes(bytes)).await.unwrap();
    assert_eq!(stranger, Admission::Unknown);

    bench.sleep(3599);
    assert_eq!(bench.admitted(token.digest).await.unwrap().good_for, Some(Duration::from_secs(1)));
    bench.sleep(1);
    let over = Admission::Over(TokenStanding::Expired);
    assert_eq!(bench.store.admit(token.digest).await.unwrap(), over);
    assert_eq!(bench.store.admit_again(token.id).await.unwrap(), over);

    assert_eq!(bench.admitted(for_ever.digest).await.unwrap().good_for, None);
    bench.store.revoke_token(for_ever.id).await.unwrap();
    bench.store.revoke_token(for_ever.id).await.unwrap();
    let over = Admission::Over(TokenStanding::Revoked);
    assert_eq!(bench.store.admit(for_ever.digest).await.unwrap(), over);
    assert_eq!(bench.store.admit_again(for_ever.id).await.unwrap(), over);
    let nobody = bench.store.revoke_token(TokenId::generate()).await;
    assert!(matches!(nobody, Err(StoreError::UnknownToken(_))), "{nobody:?}");

    let tokens = bench.store.tokens().await.unwrap();
    let told: Vec<_> = tokens.iter().map(|token| (token.id, token.standing)).collect();
    assert_eq!(told, [(token.id, TokenStanding::Expired), (for_ever.id, TokenStanding::Revoked)]);
    // To the minute, and not when it was refused.
    let used: Vec<_> = tokens.iter().map(|token| token.last_used_ms.unwrap() - token.created_ms).collect();
    assert_eq!(used, [3_599_000, 3_600_000]);
}

pub(in crate::store) async fn a_session_uses_its_token(bench: Bench) {
    let token = bench.token(Role::Operate).await;
    for seconds in [0, 3600] {
        bench.sleep(seconds);
        assert!(matches!(bench.store.admit_again(token).await.unwrap(), Admission::Granted(_)));
        let kept = &bench.store.tokens().await.unwrap()[0];
        assert_eq!(
            kept.last_used_ms.map(|used_ms| used_ms - kept.created_ms),
            Some(1000 * i64::try_from(seconds).unwrap())
        );
    }
}

pub(in crate::store) async fn a_name_is_one_token_s_until_that_is_revoked(bench: Bench) {
    let anna = |role| NewToken { name: "anna".to_owned(), ..new_token(role) };
    let short = NewToken { good_for: Some(Duration::from_secs(1)), ..anna(Role::Submit) };
    bench.store.keep_token(short.clone()).await.unwrap();
    let taken = bench.store.keep_token(anna(Role::Operate)).await;
    assert!(matches!(&taken, Err(StoreError::NameTaken(name)) if name == "anna"), "{taken:?}");
    // One that has expired still stands for its jobs.
    bench.sleep(2);
    assert!(matches!(bench.store.keep_token(anna(Role::Submit)).await, Err(StoreError::NameTaken(_))));
    bench.store.revoke_token(short.id).await.unwrap();
    bench.store.keep_token(anna(Role::Submit)).await.unwrap();
    // What agents call themselves is no matter, here and there.
    let by = bench.token(Role::Enrol).await;
    bench.store.keep_token(NewToken { name: "barn".to_owned(), ..new_token(Role::Submit) }).await.unwrap();
    for _ in 0..2 {
        bench.enrol(by, AgentId::generate(), own_digest()).await.unwrap();
    }
}

pub(in crate::store) async fn whoever_looks_for_changed_tokens_sees_them(bench: Bench) {
    assert_eq!(bench.store.token_changes().await.unwrap(), 0);
    let token = bench.token(Role::Enrol).await;
    let made = bench.store.token_changes().await.unwrap();
    bench.enrol(token, AgentId::generate(), own_digest()).await.unwrap();
    let enrolled = bench.store.token_changes().await.unwrap();
    bench.store.revoke_token(token).await.unwrap();
    let revoked = bench.store.token_changes().await.unwrap();
    assert!(0 < made && made < enrolled && enrolled < revoked, "{made} {enrolled} {revoked}");
}

pub(in crate::store) async fn an_agent_is_enrolled_once_however_often_it_asks(mut bench: Bench) {
    let by = NewToken { uses: Some(1), ..new_token(Role::Enrol) };
    bench.store.keep_token(by.clone()).await.unwrap();
    let (agent, own) = (AgentId::generate(), own_digest());
    bench.enrol(by.id, agent, own).await.unwrap();
    // The answer was lost.
    bench.restart().await;
    bench.enrol(by.id, agent, own).await.unwrap();
    let pass = bench.admitted(own).await.unwrap();
    assert_eq!((pass.role, pass.agent, pass.name.as_str()), (Role::Agent, Some(agent), "barn"));
    let tokens = bench.store.tokens().await.unwrap();
    assert_eq!((tokens.len(), tokens[0].uses_left, tokens[1].enrolled_by), (2, Some(0), Some(by.id)));
    assert_eq!(bench.store.agents().await.unwrap()[0].agent_id, agent);
}

pub(in crate::store) async fn an_enrolment_token_lets_in_as_many_as_it_may(bench: Bench) {
    let by = NewToken { uses: Some(2), ..new_token(Role::Enrol) };
    bench.store.keep_token(by.clone()).await.unwrap();
    let enrol = || bench.enrol(by.id, AgentId::generate(), own_digest());
    enrol().await.unwrap();
    enrol().await.unwrap();
    assert!(matches!(enrol().await, Err(StoreError::EnrolmentOver)));
    // Neither does one that is over, nor one that is for something else.
    let short = NewToken { good_for: Some(Duration::from_secs(1)), ..new_token(Role::Enrol) };
    bench.store.keep_token(short.clone()).await.unwrap();
    let revoked = bench.token(Role::Enrol).await;
    bench.store.revoke_token(revoked).await.unwrap();
    let other = bench.token(Role::Operate).await;
    bench.sleep(1);
    for by in [short.id, revoked, other] {
        let refused = bench.enrol(by, AgentId::generate(), own_digest()).await;
        assert!(matches!(refused, Err(StoreError::EnrolmentOver)), "{refused:?}");
    }
    assert_eq!(bench.store.agents().await.unwrap().len(), 2, "who is refused is not known");
}

pub(in crate::store) async fn a_known_agent_can_t_be_taken_over_by_an_enrolment_token(bench: Bench) {
    let by = bench.token(Role::Enrol).await;
    let (agent, own) = (AgentId::generate(), own_digest());
    bench.enrol(by, agent, own).await.unwrap();
    let thief = bench.enrol(by, agent, own_digest()).await;
    assert!(matches!(thief, Err(StoreError::EnrolledAlready(_))), "{thief:?}");
    // Nor by a token that is somebody else's.
    let other = bench.enrol(by, AgentId::generate(), own).await;
    assert!(matches!(other, Err(StoreError::EnrolledAlready(_))), "{other:?}");
}

pub(in crate::store) async fn an_agent_that_was_shut_out_stays_out(bench: Bench) {
    let by = bench.token(Role::Enrol).await;
    let (agent, own) = (AgentId::generate(), own_digest());
    bench.enrol(by, agent, own).await.unwrap();
    let token = bench.admitted(own).await.unwrap().token;
    bench.store.revoke_token(token).await.unwrap();
    let again = bench.enrol(by, agent, own).await;
    assert!(matches!(again, Err(StoreError::ShutOut(_))), "{again:?}");
    // Unless its owner lets it in anew, with another token.
    bench.enrol(by, agent, own_digest()).await.unwrap();
    assert_eq!(bench.admitted(own).await, None);
}
